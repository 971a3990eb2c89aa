// Azurite's blob service as localcloud runs it. Usage:
//   node azurite.js AZURITE_PACKAGE_FOLDER ACCOUNTS_FILE [azurite-blob arguments]
// ACCOUNTS_FILE is JSON: {"secret": "hex", "accounts": {"name": ["key1 in base64", "key2 in base64"]}}. It is replaced
// atomically and read again when it changed, so that a new storage account needs no restart: Azurite itself takes accounts
// from an environment variable, at start. Nine things more differ from Azurite's own command:
//   1. a request with the secret in x-localcloud-front comes from the storage front, which has done the authorization;
//   2. user delegation keys are derived from the secret, not from the constant in Azurite's source;
//   3. user delegation SAS of versions that Azurite does not know yet are understood;
//   4. requests count as HTTPS: every client's request came by TLS to the front, so SAS with spr=https hold;
//   5. the front may delete, or rename by a copy, a blob with all that is below it in one step (x-localcloud-tree), as
//      Data Lake Storage does with directories. A renamed blob keeps its ETag and times;
//   6. a change is on disk before it is answered (azurite_journal.js);
//   7. a request may take as long as it makes progress, which the gateway watches: Node ends one after five minutes;
//   8. blobs are read in larger parts, for half of the processor time;
//   9. the MD5 of a range is made for a client that asks for it (x-ms-range-get-content-md5): Azurite reads each range of
//      up to 4 MiB twice, and throws its MD5 away.
"use strict";
const crypto = require("crypto");
const fs = require("fs");
const http = require("http");
const path = require("path");

const [, , root, file] = process.argv;
process.argv.splice(2, 2);
const azurite = (module) => require(path.join(root, "dist/src", module));

// Node reads files in parts of 64 KiB, each of which costs nearly as much as one of 1 MiB.
const READ_BYTES = 2 ** 20;
const createReadStream = fs.createReadStream;
fs.createReadStream = (file, options) => createReadStream(file, { highWaterMark: READ_BYTES, ...options });

const BlobHandler = azurite("blob/handlers/BlobHandler").default;
const { downloadBlockBlobOrAppendBlob } = BlobHandler.prototype;
const { deserializeRangeHeader } = azurite("blob/utils/utils");
const hashing = azurite("common/utils/utils");
const { getMD5FromStream } = hashing;
const unhashed = new WeakSet();
hashing.getMD5FromStream = async (stream) => (unhashed.has(stream) ? undefined : getMD5FromStream(stream));

function isRange(request) {
  try {
    return deserializeRangeHeader(request.getHeader("range"), request.getHeader("x-ms-range")) !== undefined;
  } catch {
    return false; // Azurite sends the whole blob then
  }
}

BlobHandler.prototype.downloadBlockBlobOrAppendBlob = function (options, context, blob) {
  const { request } = context;
  if (!isRange(request) || request.getHeader("x-ms-range-get-content-md5")) {
    return downloadBlockBlobOrAppendBlob.call(this, options, context, blob);
  }
  // Azurite asks for the range a second time once it has the MD5 of the first stream.
  let body;
  const reads = (name) => ({
    value: (...parameters) => {
      body ??= this.extentStore[name](...parameters).then((stream) => unhashed.add(stream) && stream);
      return body;
    },
  });
  const extentStore = Object.create(this.extentStore, { readExtent: reads("readExtent"), readExtents: reads("readExtents") });
  const handler = Object.create(this, { extentStore: { value: extentStore } });
  return downloadBlockBlobOrAppendBlob.call(handler, options, context, blob);
};

let stamp = "";
let secret = "";
let accounts = new Map();

function refresh() {
  const { mtimeMs, ino } = fs.statSync(file);
  const current = `${ino} ${mtimeMs}`;
  if (current === stamp) return;
  const content = JSON.parse(fs.readFileSync(file, "utf8"));
  secret = content.secret;
  accounts = new Map(
    Object.entries(content.accounts).map(([name, [key1, key2]]) => [
      name,
      { name, key1: Buffer.from(key1, "base64"), key2: Buffer.from(key2, "base64") },
    ]),
  );
  stamp = current;
}

azurite("common/AccountDataStore").default.prototype.getAccount = function (name) {
  refresh();
  return accounts.get(name);
};

function fromFront(request) {
  refresh();
  const given = Buffer.from(request.getHeader("x-localcloud-front") || "");
  const wanted = Buffer.from(secret);
  return given.length === wanted.length && crypto.timingSafeEqual(given, wanted);
}

const SharedKey = azurite("blob/authentication/BlobSharedKeyAuthenticator").default;
const validate = SharedKey.prototype.validate;
SharedKey.prototype.validate = async function (request, context) {
  if (fromFront(request)) return true;
  return validate.call(this, request, context);
};

azurite("blob/utils/utils").getUserDelegationKeyValue = (...parts) => {
  refresh();
  const [objectId, tenantId, start, expiry, version] = parts;
  const text = [objectId, tenantId, start, expiry, "b", version].join("\n");
  return crypto.createHmac("sha256", secret).update(text, "utf8").digest("base64");
};

// Since 2026-04-06 the signed text has two lines more, for headers and query parameters of the SAS (none here).
const signatures = azurite("blob/authentication/IBlobSASSignatureValues");
const signOlder = signatures.generateBlobSASSignatureWithUDK;
signatures.generateBlobSASSignatureWithUDK = (values, resource, account, key) => {
  const [signature, text] = signOlder(values, resource, account, key);
  if (values.version < "2026-04-06") return [signature, text];
  const lines = text.split("\n");
  lines.splice(-5, 0, "", "");
  const newer = lines.join("\n");
  return [crypto.createHmac("sha256", key).update(newer, "utf8").digest("base64"), newer];
};

const Store = azurite("blob/persistence/LokiBlobMetadataStore").default;
const blobErrors = azurite("blob/errors/StorageErrorFactory").default;
const { startCopyFromURL, deleteBlob } = Store.prototype;

function tree(context) {
  return fromFront(context.request) ? context.request.getHeader("x-localcloud-tree") : undefined;
}

// Nothing is awaited from here to the end of a rename or delete: no other request is served in between.
function below(collection, nameKey, account, container, name) {
  return collection
    .find({ accountName: account, containerName: container })
    .filter((one) => one[nameKey] === name || one[nameKey].startsWith(`${name}/`));
}

function checkLease(context, blob, id) {
  if (blob === undefined || blob.properties.leaseState !== "leased") return;
  if (blob.leaseExpireTime !== undefined && new Date(blob.leaseExpireTime) < new Date()) return;
  if (!id) throw blobErrors.getBlobLeaseIdMissing(context.contextId);
  if (blob.leaseId.toLowerCase() !== id.toLowerCase()) {
    throw blobErrors.getBlobLeaseIdMismatchWithBlobOperation(context.contextId);
  }
}

Store.prototype.startCopyFromURL = async function (context, source, target, ...rest) {
  if (tree(context) !== "rename") return startCopyFromURL.call(this, context, source, target, ...rest);
  await this.checkContainerExist(context, target.account, target.container);
  const blobs = this.db.getCollection(this.BLOBS_COLLECTION);
  const moved = below(blobs, "name", source.account, source.container, source.blob);
  if (moved.length === 0) throw blobErrors.getBlobNotFound(context.contextId);
  const top = moved.find((one) => one.name === source.blob);
  checkLease(context, top, context.request.getHeader("x-ms-source-lease-id"));
  blobs.findAndRemove({ accountName: target.account, containerName: target.container, name: target.blob });
  const rename = (collection, nameKey, one) => {
    one.containerName = target.container;
    one[nameKey] = target.blob + one[nameKey].slice(source.blob.length);
    collection.update(one);
  };
  const blocks = this.db.getCollection(this.BLOCKS_COLLECTION);
  below(blocks, "blobName", target.account, target.container, target.blob).forEach((one) => blocks.remove(one));
  below(blocks, "blobName", source.account, source.container, source.blob).forEach((one) => rename(blocks, "blobName", one));
  moved.forEach((one) => rename(blobs, "name", one));
  return (top || moved[0]).properties;
};

Store.prototype.deleteBlob = async function (context, account, container, name, options) {
  if (tree(context) !== "delete") return deleteBlob.call(this, context, account, container, name, options);
  await this.checkContainerExist(context, account, container);
  const blobs = this.db.getCollection(this.BLOBS_COLLECTION);
  const gone = below(blobs, "name", account, container, name);
  if (gone.length === 0) throw blobErrors.getBlobNotFound(context.contextId);
  checkLease(context, gone.find((one) => one.name === name), context.request.getHeader("x-ms-lease-id"));
  gone.forEach((one) => blobs.remove(one));
};

const keepJournal = require("./azurite_journal");
keepJournal(Store);
keepJournal(azurite("common/persistence/LokiExtentMetadataStore").default);

const { createServer } = http;
http.createServer = (...parameters) => {
  const server = createServer(...parameters);
  server.requestTimeout = 0;
  return server;
};

azurite("blob/generated/ExpressRequestAdapter").default.prototype.getProtocol = () => "https";

azurite("blob/main");
