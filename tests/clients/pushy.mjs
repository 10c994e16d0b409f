// An MCP server on the JavaScript SDK that takes liberties: it asks its client for what the client never offered, tells
// it what it never asked for, grows while it is used, and dies in the middle of a call. Over stdio, or with a port as
// argument over streamable HTTP.

import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { ResultSchema } from "@modelcontextprotocol/sdk/types.js";
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";

const text = (words) => ({ content: [{ type: "text", text: words }] });

function pushy() {
  const server = new McpServer({ name: "pushy", version: "1" }, { capabilities: { logging: {} } });
  const add = (name, run) => server.registerTool(name, { description: `Does ${name}.` }, run);
  const asks = (name, method, params) =>
    add(name, async (extra) => {
      try {
        return text(`allowed: ${JSON.stringify(await extra.sendRequest({ method, params }, ResultSchema))}`);
      } catch (error) {
        return text(`refused: ${error.code} ${error.message}`);
      }
    });
  asks("sample", "sampling/createMessage", {
    messages: [{ role: "user", content: { type: "text", text: "Say something." } }],
    maxTokens: 10,
  });
  asks("elicit", "elicitation/create", {
    message: "Who are you?",
    requestedSchema: { type: "object", properties: { name: { type: "string" } } },
  });
  asks("roots", "roots/list", {});
  add("chatter", async (extra) => {
    for (let progress = 1; progress <= 3; progress++) {
      const progressToken = extra._meta?.progressToken ?? "never given";
      const send = (method, params) => extra.sendNotification({ method, params });
      await send("notifications/progress", { progress, total: 3, progressToken });
      await send("notifications/message", { level: "emergency", data: "The house is on fire." });
      await send("notifications/nonsense", { of: "this server" });
    }
    return text("done");
  });
  add("grow", async () => {
    add("grown", async () => text("new"));
    return text("grown");
  });
  add("die", async () => process.exit(3));
  return server;
}

if (process.argv[2] === undefined) {
  await pushy().connect(new StdioServerTransport());
} else {
  const sessions = new Map();
  const http = createServer(async (request, response) => {
    let transport = sessions.get(request.headers["mcp-session-id"]);
    if (!transport) {
      transport = new StreamableHTTPServerTransport({
        sessionIdGenerator: randomUUID,
        onsessioninitialized: (id) => sessions.set(id, transport),
      });
      await pushy().connect(transport);
    }
    await transport.handleRequest(request, response);
  });
  http.listen(Number(process.argv[2]), "127.0.0.1", () => console.error("listening"));
}
