// The blob that Azurite's own code would open for each request: node azurite_witness.js AZURITE_PACKAGE_FOLDER PORT
// Nothing is stored. GET /_seen answers with a line of JSON for each request since the last time.
"use strict";
const path = require("path");
const [, , root, port] = process.argv;
const azurite = (module) => require(path.join(root, "dist/src/blob", module));
const express = require(require.resolve("express", { paths: [root] }));
const addresses = azurite("middlewares/blobStorageContext.middleware");
const dispatch = azurite("generated/middleware/dispatch.middleware").default;
const Adapter = azurite("generated/ExpressRequestAdapter").default;
const operations = azurite("generated/artifacts/operation").default;

const quiet = { error() {}, info() {}, verbose() {} };
const empty = '<?xml version="1.0"?><EnumerationResults><Blobs/><Containers/><NextMarker/></EnumerationResults>';
const when = "Sat, 01 Jan 2000 00:00:00 GMT";
let seen = [];

function opened(request) {
  const [account, container, blob] = addresses.extractStoragePartsFromPath(request.hostname, request.path, false);
  const context = { dispatchPattern: container ? (blob ? "/container/blob" : "/container") : "/" };
  dispatch(context, new Adapter(request), () => {}, quiet);
  const header = request.header("x-ms-copy-source");
  const url = header && new URL(header);
  const source = url && addresses.extractStoragePartsFromPath(url.hostname, url.pathname, false).slice(0, 3);
  const trusted = request.header("x-localcloud-front") !== undefined;
  return { account, container: container || "", blob, operation: operations[context.operation], source, trusted };
}

const app = express();
app.get("/_seen", (_, response) => {
  response.json(seen);
  seen = [];
});
app.use((request, response) => {
  const place = opened(request);
  seen.push(place);
  request.resume();
  response.set({ etag: '"0x1"', "last-modified": when, "content-type": "application/xml" });
  if (request.query.comp === "list") return response.status(200).send(empty);
  if (request.method === "HEAD" && place.blob && !place.blob.includes("a")) {
    return response.set("x-ms-error-code", "BlobNotFound").status(404).end();
  }
  return response.status(request.method === "PUT" ? 201 : 200).end();
});
app.listen(Number(port), "127.0.0.1", () => console.log("ready"));
