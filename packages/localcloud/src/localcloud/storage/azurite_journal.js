// A journal of the changes to one of Azurite's metadata databases, so that nothing acknowledged is lost with the process.
//
// Azurite keeps its metadata in LokiJS, which saves a database whole, every five seconds: a process that is killed loses
// up to five seconds of answered requests, and one save costs time by the number of blobs. Here each change is appended
// to a file before the request that made it is answered, and the database is saved whole only when the file has grown
// as large as the last save. Blob content is in files that Azurite has written by then.
//
// A file holds one line for each turn of the event loop: a JSON array of [collection, id] (removed) and
// [collection, id, document] (inserted or updated). A turn is kept whole or not at all: Azurite replaces a blob by a
// removal and an insertion in one turn, and a line that a kill has cut off is ignored. Files are numbered. A save starts
// the next file in the same turn in which it reads the database, and deletes the earlier files when it is on disk;
// changes in both are applied twice, with the same result. The kernel has all written bytes when the process is killed; a
// machine that loses its power may lose more, as with Azurite's own content files.
// Source: lokijs 1.5.12 src/lokijs.js (Collection events, saveDatabaseInternal, throttledSaves).
"use strict";
const fs = require("fs");
const path = require("path");

const SMALLEST_SAVE_BYTES = 4 * 1024 * 1024;

class Journal {
  constructor(db) {
    this.db = db;
    this.pending = [];
    this.written = 0;
    this.number = Math.max(0, ...this.#numbers()) + 1;
    this.descriptor = fs.openSync(this.#file(this.number), "a");
  }

  /** Apply the files that an ended process has left, oldest first, to the loaded database. */
  replay() {
    const last = new Map();
    for (const number of this.#numbers().filter((number) => number < this.number)) {
      const lines = fs.readFileSync(this.#file(number), "utf8").split("\n");
      lines.pop(); // empty, or a line that was cut off
      for (const [collection, id, document] of lines.flatMap((line) => JSON.parse(line))) {
        last.set(`${collection} ${id}`, [collection, id, document]);
      }
    }
    // Ids only grow. LokiJS finds documents by a search in its sorted list of ids, so the order of insertion matters.
    const changes = [...last.values()].sort((one, other) => one[1] - other[1]);
    for (const [name, id, document] of changes) apply(this.db.getCollection(name), id, document);
    return changes.length;
  }

  /** Write each change from now on, and save the database whole when that is worth it instead of every five seconds. */
  record() {
    for (const collection of this.db.collections) {
      const put = (documents) => [documents].flat().forEach((one) => this.#add([collection.name, one.$loki, one]));
      collection.on("insert", put);
      collection.on("update", put);
      collection.on("delete", (document) => this.#add([collection.name, document.$loki]));
      collection.on("delete", () => undefined); // a removal of several is announced to a second listener only
    }
    const save = this.db.saveDatabaseInternal;
    this.db.saveDatabaseInternal = (done) => {
      this.#next();
      const kept = this.number;
      save.call(this.db, (error) => {
        if (!error) this.#numbers().filter((number) => number < kept).forEach((number) => fs.unlinkSync(this.#file(number)));
        if (done) done(error);
        else if (error) throw error;
      });
    };
    this.db.autosaveDisable(); // the timer; closing the database still saves it
  }

  #add(change) {
    // Documents are live objects, which a later turn may change: the text is made now.
    if (this.pending.push(JSON.stringify(change)) === 1) queueMicrotask(() => this.#write());
  }

  // Before any code that waits for the change goes on, as the microtask was queued first.
  #write() {
    const lines = this.pending.splice(0);
    if (lines.length === 0) return;
    const text = Buffer.from(`[${lines.join(",")}]\n`);
    for (let offset = 0; offset < text.length; ) offset += fs.writeSync(this.descriptor, text, offset);
    this.written += text.length;
    if (this.written > Math.max(SMALLEST_SAVE_BYTES, this.#saved())) this.db.saveDatabase();
  }

  #next() {
    this.#write();
    fs.closeSync(this.descriptor);
    this.number += 1;
    this.written = 0;
    this.descriptor = fs.openSync(this.#file(this.number), "a");
  }

  #saved() {
    return fs.statSync(this.db.filename, { throwIfNoEntry: false })?.size ?? 0;
  }

  #file(number) {
    return `${this.db.filename}.${number}.journal`;
  }

  #numbers() {
    const start = `${path.basename(this.db.filename)}.`;
    return fs
      .readdirSync(path.dirname(this.db.filename))
      .filter((name) => name.startsWith(start) && /^\d+\.journal$/.test(name.slice(start.length)))
      .map((name) => Number.parseInt(name.slice(start.length), 10))
      .sort((one, other) => one - other);
  }
}

function apply(collection, id, document) {
  const existing = collection.get(id);
  if (document === undefined) {
    if (existing) collection.remove(existing);
  } else if (existing) {
    collection.update({ ...document, meta: existing.meta });
  } else {
    const { $loki, ...rest } = document;
    collection.maxId = Math.max(collection.maxId, id - 1);
    collection.insert(rest);
  }
}

/** Make a metadata store of Azurite's, such as LokiBlobMetadataStore, keep a journal from its `init` on. */
module.exports = function keepJournal(Store) {
  const { init } = Store.prototype;
  Store.prototype.init = async function () {
    await init.call(this);
    const journal = new Journal(this.db);
    const changes = journal.replay();
    journal.record();
    if (changes > 0) {
      await new Promise((resolve, reject) => this.db.saveDatabase((error) => (error ? reject(error) : resolve())));
    }
  };
};
