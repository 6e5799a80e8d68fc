// Drives the API with @connectrpc/connect-node: one step a line on stdin, one result a line on stdout.
import { createInterface } from "node:readline";
import { readFileSync } from "node:fs";
import { createFileRegistry, fromBinary, toJson } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { compressionGzip, createConnectTransport } from "@connectrpc/connect-node";

const [baseUrl, descriptors, format, tenant] = process.argv.slice(2);
const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(descriptors)));
const service = registry.getService("jennah.v1.DeploymentService");
const client = createClient(
  service,
  createConnectTransport({
    baseUrl,
    httpVersion: "1.1",
    useBinaryFormat: format === "binary",
    sendCompression: compressionGzip,
    compressMinBytes: 0,
  }),
);

for await (const line of createInterface({ input: process.stdin })) {
  const { method, request, timeoutMs } = JSON.parse(line);
  const description = service.methods.find((m) => m.localName === method);
  try {
    const answer = await client[method](request, { headers: { "X-Tenant-Id": tenant }, timeoutMs });
    console.log(JSON.stringify({ answer: toJson(description.output, answer) }));
  } catch (error) {
    const { code, rawMessage } = ConnectError.from(error);
    console.log(JSON.stringify({ code: Code[code], message: rawMessage }));
  }
}
