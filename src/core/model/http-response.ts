/**
 * The HTTP answer that an exception of a handler asks for, as Nest's `HttpException` does, and what of it travels to the caller.
 * The core knows no Nest: an exception is recognised by its shape.
 * Neighbours: `reply.ts` sends it, `nest/bus/handler-error.filter.ts` gives it to the client.
 */
import { jsonWithin } from './bounded-json.js';
import { codeOf, isError, readProperty } from './error-text.js';
import { ownMessageOf } from './failure-text.js';

/** An HTTP status and body. */
export interface HttpAnswer {
  /** From 400 to 599. */
  readonly status: number;
  /** What `getResponse()` gave, as JSON; undefined if the status says it all. */
  readonly response?: unknown;
}

/** Longest `response` as JSON, in UTF-16 code units. */
export const MAX_RESPONSE_LENGTH = 8192;

/**
 * The answer that something which was thrown asks for; undefined if it asks for none. A `response` that is too large, or that JSON
 * can't carry, becomes `{ statusCode, message }`. Never throws.
 * @param isSecret the payload of the job is encrypted, and a body may repeat it: only status and message travel.
 */
export function httpAnswerOf(error: unknown, isSecret: boolean): HttpAnswer | undefined {
  const answer = askedBy(error) ?? passedOnBy(error);
  if (answer?.response === undefined || answer.response === null) return answer && { status: answer.status };
  // guards: http-response.httpAnswerOf
  const json = isSecret ? undefined : jsonWithin(answer.response, MAX_RESPONSE_LENGTH);
  const short = { statusCode: answer.status, message: ownMessageOf(error) };
  return { status: answer.status, response: json === undefined ? short : JSON.parse(json) };
}

/** What was written by hand is none. */
export function isHttpAnswer(value: unknown): value is HttpAnswer {
  return isStatus(readProperty(value, 'status'));
}

/** By an `HttpException`. */
function askedBy(error: unknown): HttpAnswer | undefined {
  const status = call(error, 'getStatus');
  if (!isStatus(status)) return undefined;
  const response = call(error, 'getResponse');
  const errorCode = readProperty(error, 'errorCode');
  // Nest 12 adds an errorCode to a body that it makes of a text. Of an error it sends nothing.
  if (typeof response === 'string' && typeof errorCode === 'string') {
    return { status, response: { statusCode: status, message: response, errorCode } };
  }
  return isError(response) ? { status } : { status, response };
}

/** By a handler that waited for the job of another one, whose `HandlerError` it has not caught. */
function passedOnBy(error: unknown): HttpAnswer | undefined {
  const status = readProperty(error, 'status');
  if (codeOf(error) !== 'HANDLER_FAILED' || !isStatus(status)) return undefined;
  return { status, response: readProperty(error, 'response') };
}

function call(error: unknown, method: string): unknown {
  try {
    const code = readProperty(error, method);
    return typeof code === 'function' ? code.call(error) : undefined;
  } catch {
    return undefined;
  }
}

function isStatus(value: unknown): value is number {
  // guards: http-response.isStatus
  return Number.isInteger(value) && (value as number) >= 400 && (value as number) <= 599;
}
