// Starts @vercel/cosmosdb-server 1.0.1 on 127.0.0.1 and prints its port:
//   node cosmosdb_emulator.cjs <folder of the package>
// It ends with its standard input, so that it never outlives the tests.
//
// What the real service does and this emulator does not is mended here, so that the adapter needs no special case:
// - A batch has one partition key, in the header. The emulator looks for it in each operation and answers 500.
// - A failed batch changes nothing: HTTP 207, the operation's own status, 424 for all others. The emulator keeps
//   what came before the failure.
// - Reading a document that does not exist is 404. The emulator answers 500.
"use strict";

const path = require("path");
const { Readable } = require("stream");

const lib = path.join(process.argv[2], "lib");
const inLib = (name) => require(path.join(lib, name));
const readJson = inLib("json.js").default;
const partitionKeyOf = (req) => req.headers["x-ms-documentdb-partitionkey"];

const batch = inLib("handler/batch-documents.js");
const originalBatch = batch.default;
batch.default = async (account, req, res, params) => {
  const key = partitionKeyOf(req);
  const operations = (await readJson(req)).map((operation) => ({ ...operation, partitionKey: key }));
  const again = Readable.from([Buffer.from(JSON.stringify(operations))]);
  again.headers = { ...req.headers, "content-length": undefined };
  const { documents } = account.database(params.dbId).collection(params.collId);
  const before = [new Map(documents._data), new Map(documents._index)];
  const answer = await originalBatch(account, again, res, params);
  const failed = Array.isArray(answer) ? answer.findIndex((result) => result.statusCode >= 400) : -1;
  if (failed < 0) return answer;
  [documents._data, documents._index] = before;
  res.statusCode = 207;
  return answer.map((result, i) => ({ statusCode: i === failed ? result.statusCode : 424, requestCharge: 0 }));
};

const read = inLib("handler/read-document.js");
const originalRead = read.default;
const { parsePartitionKey } = inLib("utils/get-partition-from-header.js");
read.default = (account, req, res, params) => {
  const collection = account.database(params.dbId).collection(params.collId);
  const key = parsePartitionKey(partitionKeyOf(req), params.docId);
  if (collection.document(params.docId, key).read()) return originalRead(account, req, res, params);
  res.statusCode = 404;
  return { code: "NotFound", message: "no such document" };
};

const { createHttpServer } = inLib("index.js"); // last: it takes the handlers as they are now
const server = createHttpServer({ keepAlive: true });
server.keepAliveTimeout = 600000;
server.listen(Number(process.argv[3] || 0), "127.0.0.1", () => console.log(server.address().port));
process.stdin.on("end", () => process.exit(0)).resume();
