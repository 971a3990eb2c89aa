// Azurite's blob service as localcloud runs it. Usage:
//   node azurite.js AZURITE_PACKAGE_FOLDER ACCOUNTS_FILE [azurite-blob arguments]
// ACCOUNTS_FILE is JSON: {"secret": "hex", "accounts": {"name": ["key1 in base64", "key2 in base64"]}}. It is replaced
// atomically and read again when it changed, so that a new storage account needs no restart: Azurite itself takes accounts
// from an environment variable, at start. Four things more differ from Azurite's own command:
//   1. a request with the secret in x-localcloud-front comes from the storage front, which has done the authorization;
//   2. user delegation keys are derived from the secret, not from the constant in Azurite's source;
//   3. user delegation SAS of versions that Azurite does not know yet are understood;
//   4. requests count as HTTPS: every client's request came by TLS to the front, so SAS with spr=https hold.
"use strict";
const crypto = require("crypto");
const fs = require("fs");
const path = require("path");

const [, , root, file] = process.argv;
process.argv.splice(2, 2);
const azurite = (module) => require(path.join(root, "dist/src", module));

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

const SharedKey = azurite("blob/authentication/BlobSharedKeyAuthenticator").default;
const validate = SharedKey.prototype.validate;
SharedKey.prototype.validate = async function (request, context) {
  refresh();
  const given = Buffer.from(request.getHeader("x-localcloud-front") || "");
  const wanted = Buffer.from(secret);
  if (given.length === wanted.length && crypto.timingSafeEqual(given, wanted)) return true;
  return validate.call(this, request, context);
};

azurite("blob/utils/utils").getUserDelegationKeyValue = (...parts) => {
  refresh();
  const [objectId, tenantId, start, expiry, version] = parts;
  const text = [objectId, tenantId, start, expiry, "b", version].join("\n");
  return crypto.createHmac("sha256", secret).update(text, "utf8").digest("base64");
};

// Since 2026-04-06 what is signed has two lines more, for headers and query parameters that the SAS asks for (none here).
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

azurite("blob/generated/ExpressRequestAdapter").default.prototype.getProtocol = () => "https";

azurite("blob/main");
