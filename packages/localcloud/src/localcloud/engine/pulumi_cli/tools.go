//go:build tools

// Package tools pins the Pulumi CLI in go.mod, so that `go build` makes it from checked sources.
package tools

import _ "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
