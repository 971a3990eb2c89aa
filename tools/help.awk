# The verbs of makefiles by group, within 80 columns. "##@ Group" begins a group, "target: ## text: make example" a verb.
function wrapped(text,    words, total, i, column, result) {
    total = split(text, words, " ")
    column = indent
    for (i = 1; i <= total; i++) {
        if (column > indent && column + 1 + length(words[i]) > width) {
            result = result "\n" margin
            column = indent
        } else if (column > indent) {
            result = result " "
            column++
        }
        result = result words[i]
        column += length(words[i])
    }
    return result
}
BEGIN { FS = ":.*## "; width = 80; indent = 17; margin = sprintf("%" indent "s", "") }
/^##@ / { group = substr($0, 5) }
/^[a-z-]+:.*## / {
    if (!(group in texts)) names[++count] = group
    text = substr($0, index($0, "## ") + 3)
    example = index(text, ": make ")
    shown = wrapped(example ? substr(text, 1, example - 1) : text)
    if (example) shown = shown "\n" margin wrapped(substr(text, example + 2))
    texts[group] = texts[group] sprintf("  %-14s %s\n", $1, shown)
}
END { for (i = 1; i <= count; i++) printf "%s%s\n%s", (i > 1 ? "\n" : ""), names[i], texts[names[i]] }
