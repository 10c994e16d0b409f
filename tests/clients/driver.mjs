// Drives the JavaScript clients for the tests: one case a line in, what its client saw a line out.
//
//   in   {"id": 1, "suite": "vercel", "name": "generate", "base": "http://127.0.0.1:8321/v1", "with": {...}}
//   out  {"id": 1, "saw": ..., "complaints": [...]}   or   {"id": 1, "error": {"name", "message", ...}, "complaints": [...]}
//
// A complaint is whatever a client says that nobody asked it to say: a warning, a log line, a rejection that nobody
// caught. Standard output belongs to the answers, so nothing else may write there.

import { createInterface } from "node:readline";
import { inspect } from "node:util";

let complaints = [];
const complain = (kind) => (...said) => {
  complaints.push(`${kind}: ${said.map((each) => (typeof each === "string" ? each : inspect(each, { depth: 8 }))).join(" ")}`);
};
for (const level of ["log", "info", "warn", "error", "debug"]) console[level] = complain(`console.${level}`);
for (const event of ["warning", "unhandledRejection", "uncaughtException"]) process.on(event, complain(event));
globalThis.AI_SDK_LOG_WARNINGS = ({ warnings }) => warnings.forEach((each) => complain("AI SDK")(each));

const loaded = {};

async function run({ suite, name, base, with: given }) {
  loaded[suite] ??= await import(`./${suite}.mjs`);
  const found = loaded[suite][name];
  if (!found) throw new Error(`${suite}.mjs has no ${name}`);
  return await found(base, given ?? {});
}

function told(error) {
  const cause = error.cause ?? error.lastError;
  return {
    name: error.name,
    message: String(error.message),
    status: error.statusCode ?? error.status ?? null,
    cause: cause ? told(cause) : null,
    stack: String(error.stack),
  };
}

for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  complaints = [];
  let answer;
  try {
    answer = { saw: (await run(asked)) ?? null };
  } catch (error) {
    answer = { error: told(error) };
  }
  // What a client rejects without waiting is heard a turn later.
  await new Promise(setImmediate);
  process.stdout.write(`${JSON.stringify({ id: asked.id, ...answer, complaints })}\n`);
}
