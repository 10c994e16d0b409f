// The Agents SDK for JavaScript over the Responses API. Each case gives what its caller sees.

import {
  Agent, handoff, hostedMcpTool, OpenAIConversationsSession, OpenAIResponsesModel, Runner, setTracingDisabled, tool,
} from "@openai/agents";
import OpenAI from "openai";
import { z } from "zod";

setTracingDisabled(true);

const world = (base) => {
  const client = new OpenAI({ apiKey: "test", baseURL: base, maxRetries: 0 });
  const model = new OpenAIResponsesModel(client, "m");
  const agent = (name, more = {}) => new Agent({ name, model, ...more });
  return { client, agent, runner: new Runner({ tracingDisabled: true }) };
};

const weather = tool({
  name: "weather",
  description: "The weather of a city.",
  parameters: z.object({ city: z.string() }),
  execute: async ({ city }) => `Sunny in ${city}.`,
});

/** What a run gives: its answer, its items, the agent that had the last word. */
const told = (result, more = {}) => ({
  answer: result.finalOutput ?? null,
  items: result.newItems.map(({ rawItem }) => rawItem.providerData?.type ?? rawItem.type ?? rawItem.name),
  last: result.lastAgent?.name ?? null,
  usage: result.state.usage.totalTokens,
  ...more,
});

/** The run, streamed or not; a stream tells its events too. */
async function go({ runner }, agent, input, how, options = {}) {
  const result = await runner.run(agent, input, { stream: Boolean(how), ...options });
  if (!how) return { result, events: [], deltas: "" };
  const events = [];
  let deltas = "";
  for await (const event of result) {
    events.push(event.type === "raw_model_stream_event" ? event.data.type : event.name ?? event.type);
    if (event.type === "raw_model_stream_event" && event.data.type === "output_text_delta") deltas += event.data.delta;
  }
  await result.completed;
  if (result.error) throw result.error;
  return { result, events, deltas };
}

/** A function of the client's, called between two rounds. */
export const functions = async (base, { stream }) => {
  const all = world(base);
  const { result, events, deltas } = await go(all, all.agent("a", { tools: [weather] }), "Weather?", stream);
  return told(result, { events, deltas });
};

/** An answer in a schema. */
export const structured = async (base, { stream }) => {
  const all = world(base);
  const outputType = z.object({ city: z.string(), people: z.number() });
  return told((await go(all, all.agent("a", { outputType }), "Rome?", stream)).result);
};

/** One agent hands over to another. */
export const handoffs = async (base, { stream, mcp }) => {
  const all = world(base);
  const second = all.agent("sums", { tools: mcp ? [hostedMcpTool(mcp)] : [] });
  const first = all.agent("door", { handoffs: [handoff(second)] });
  return told((await go(all, first, "1 + 1?", stream)).result);
};

/** Tools of an MCP server that run in the server. */
export const hosted = async (base, { stream, mcp }) => {
  const all = world(base);
  const { result, events, deltas } = await go(all, all.agent("a", { tools: [hostedMcpTool(mcp)] }), "Go.", stream);
  return told(result, { events, deltas });
};

/** A call that waits for a yes: by a callback within the run, or by an interruption between two runs. */
export const approval = async (base, { stream, mcp, approve, callback }) => {
  const all = world(base);
  const asked = [];
  const onApproval = async (_, item) => {
    asked.push(item.rawItem.name);
    return approve ? { approve } : { approve, reason: "not today" };
  };
  const agent = all.agent("a", { tools: [hostedMcpTool({ ...mcp, ...(callback && { onApproval }) })] });
  let { result } = await go(all, agent, "Go.", stream);
  while (result.interruptions?.length) {
    for (const item of result.interruptions) {
      asked.push(item.rawItem.name);
      if (approve) result.state.approve(item);
      else result.state.reject(item);
    }
    ({ result } = await go(all, agent, result.state, stream));
  }
  return told(result, { asked });
};

/** Two runs that share a conversation of the server, and what is in it after them; then its last item is taken out. */
export const session = async (base, { stream, mcp }) => {
  const all = world(base);
  const kept = new OpenAIConversationsSession({ client: all.client });
  const agent = all.agent("a", { tools: mcp ? [hostedMcpTool(mcp)] : [weather] });
  const answers = [];
  for (const input of ["Weather?", "Sure?"]) {
    answers.push((await go(all, agent, input, stream, { session: kept })).result.finalOutput);
  }
  const kinds = (items) => items.map((item) => (item.providerData?.type ?? item.type ?? "message"));
  const items = await kept.getItems();
  const latest = await kept.getItems(2);
  const popped = await kept.popItem();
  const left = await kept.getItems();
  await kept.clearSession();
  return {
    answers,
    items: kinds(items),
    latest: kinds(latest),
    contents: items.every((item) => !("role" in item) || Array.isArray(item.content)),
    popped: popped?.role ?? popped?.type,
    left: left.length,
  };
};

/** Runs that continue each other by the id of the last response, or in a conversation by its id. */
export const continued = async (base, { conversation }) => {
  const all = world(base);
  const agent = all.agent("a", { tools: [weather] });
  const conversationId = conversation ? (await all.client.conversations.create({})).id : undefined;
  const first = await all.runner.run(agent, "Weather?", conversation ? { conversationId } : {});
  const previousResponseId = first.lastResponseId;
  const second = await all.runner.run(agent, "Sure?", conversation ? { conversationId } : { previousResponseId });
  return { answers: [first.finalOutput, second.finalOutput] };
};
