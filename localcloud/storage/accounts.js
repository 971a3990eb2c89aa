// Starts Azurite's blob service with accounts read from a file, so that a new storage account needs no restart.
// Azurite itself takes accounts from an environment variable, at start. Usage:
//   node accounts.js AZURITE_PACKAGE_FOLDER ACCOUNTS_FILE [azurite-blob arguments]
// The file is JSON: {"account": ["key1 in base64", "key2 in base64"]}. It is replaced atomically and read when it changed.
"use strict";
const fs = require("fs");
const path = require("path");

const [, , root, file] = process.argv;
process.argv.splice(2, 2);
const AccountDataStore = require(path.join(root, "dist/src/common/AccountDataStore")).default;
let stamp = "";
let accounts = new Map();

AccountDataStore.prototype.getAccount = function (name) {
  const { mtimeMs, ino } = fs.statSync(file);
  const current = `${ino} ${mtimeMs}`;
  if (current !== stamp) {
    const entries = Object.entries(JSON.parse(fs.readFileSync(file, "utf8")));
    accounts = new Map(
      entries.map(([account, [key1, key2]]) => [
        account,
        { name: account, key1: Buffer.from(key1, "base64"), key2: Buffer.from(key2, "base64") },
      ]),
    );
    stamp = current;
  }
  return accounts.get(name);
};

require(path.join(root, "dist/src/blob/main"));
