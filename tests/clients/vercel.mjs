// The Vercel AI SDK with the Responses model of `@ai-sdk/openai`. Each case gives what its caller sees.

import { createOpenAI } from "@ai-sdk/openai";
import { generateText, isStepCount, Output, streamText, tool } from "ai";
import { z } from "zod";

const model = (base) => createOpenAI({ apiKey: "test", baseURL: base }).responses("m");

const weather = tool({
  description: "The weather of a city.",
  inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => `Sunny in ${city}.`,
});

const City = z.object({ city: z.string(), people: z.number() });

const common = (base, { prompt = "Hello.", options = {}, ...more }) => ({
  model: model(base),
  maxRetries: 0,
  ...(more.messages ? {} : { prompt }),
  providerOptions: { openai: options },
  ...more,
});

/** The part of a result that the tests look at. */
const result = async (given) => ({
  text: await given.text,
  reasoning: await given.reasoningText,
  finish: await given.finishReason,
  usage: await given.totalUsage,
  sources: (await given.sources).map(({ url, title }) => ({ url, title })),
  steps: (await given.steps).map((step) => step.content.map(part)),
  metadata: await given.providerMetadata,
});

const part = ({ type, text, toolName, input, output, providerExecuted, toolCall }) => ({
  type, text, toolName, input, output, providerExecuted, asked: toolCall?.toolName,
});

/** All parts of a stream; an error part is thrown, as one that its caller must not miss. */
async function parts(stream) {
  const seen = [];
  for await (const one of stream) {
    if (one.type === "error") throw one.error;
    seen.push(one);
  }
  return seen;
}

async function streamed(asked) {
  const given = streamText({ ...asked, onError: () => {} });
  const seen = await parts(given.fullStream);
  return { ...(await result(given)), parts: seen.map((one) => one.type), deltas: textOf(seen, "text-delta") };
}

const textOf = (seen, type) => seen.filter((one) => one.type === type).map((one) => one.text).join("");

export const generate = async (base, given) => result(await generateText(common(base, given)));

export const stream = (base, given) => streamed(common(base, given));

/** A call, its result, the answer: two rounds that the SDK leads. */
export const tools = async (base, { stream: how, ...given }) => {
  const asked = { ...common(base, given), tools: { weather }, stopWhen: isStepCount(3) };
  return how ? streamed(asked) : result(await generateText(asked));
};

/** An answer in a schema. */
export const structured = async (base, { stream: how, ...given }) => {
  const asked = { ...common(base, given), output: Output.object({ schema: City }) };
  if (!how) return (await generateText(asked)).output;
  const answered = streamText({ ...asked, onError: () => {} });
  const partial = [];
  for await (const each of answered.partialOutputStream) partial.push(each);
  return { partial, whole: await answered.output };
};

/** Two turns, the second with nothing but the id of the first. */
export const chain = async (base, given) => {
  const first = await generateText(common(base, given));
  const previousResponseId = first.providerMetadata.openai.responseId;
  const second = await generateText(common(base, { prompt: "And?", options: { previousResponseId } }));
  return { first: first.text, second: second.text };
};

/** Two turns, the second with the whole history as the SDK keeps it: by reference, or in full when nothing is stored. */
export const history = async (base, { options }) => {
  const messages = [{ role: "user", content: "Hello." }];
  const asked = (more) => ({ ...common(base, { messages, options }), tools: { weather }, ...more });
  const first = await generateText(asked({ stopWhen: isStepCount(3) }));
  messages.push(...(await first.responseMessages), { role: "user", content: "And?" });
  const second = await generateText(asked({}));
  return { first: first.text, second: second.text };
};

/** A picture and a file beside the question. */
export const attachments = async (base, { image, file, filename, mediaType, options }) => {
  const content = [{ type: "text", text: "What is this?" }];
  if (image) content.push({ type: "file", mediaType: "image/png", data: image });
  if (file) content.push({ type: "file", mediaType, filename, data: file });
  return result(await generateText(common(base, { messages: [{ role: "user", content }], options })));
};

/** Tools that run in the server. */
export const hosted = async (base, { stream: how, mcp, search, ...given }) => {
  const { tools: openai } = createOpenAI({ apiKey: "test", baseURL: base });
  const chosen = { ...(mcp && { mcp: openai.mcp(mcp) }), ...(search && { web_search: openai.webSearch(search) }) };
  const asked = { ...common(base, given), tools: chosen };
  return how ? streamed(asked) : result(await generateText(asked));
};

/** A call that waits for a yes, given or not, and the answer after it. */
export const approval = async (base, { mcp, approve, options }) => {
  const { tools: openai } = createOpenAI({ apiKey: "test", baseURL: base });
  const messages = [{ role: "user", content: "Do it." }];
  const asked = () => ({ ...common(base, { messages, options }), tools: { mcp: openai.mcp(mcp) } });
  const first = await generateText(asked());
  const wanted = first.content.filter((each) => each.type === "tool-approval-request");
  messages.push(...(await first.responseMessages), {
    role: "tool",
    content: wanted.map(({ approvalId }) => ({ type: "tool-approval-response", approvalId, approved: approve, providerExecuted: true })),
  });
  const second = await generateText(asked());
  return { asked: wanted.map((each) => each.toolCall.toolName), ...(await result(second)) };
};
