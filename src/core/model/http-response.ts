/**
 * The HTTP status and body of an exception of a handler, such as Nest's `HttpException`, and the parts that travel to the caller. The core
 * does not know Nest, so it recognises an exception by its shape.
 * Neighbours: `reply.ts` sends them, `nest/bus/handler-error.filter.ts` answers the client with them.
 */
import { jsonWithin } from './bounded-json.js';
import { codeOf, isError, readProperty } from './error-text.js';
import { ownMessageOf } from './failure-text.js';

/** An HTTP status and body. */
export interface HttpReply {
  /** From 400 to 599. */
  readonly status: number;
  /** The result of `getResponse()`, as JSON; undefined if the status is enough. */
  readonly response?: unknown;
}

/** Longest `response` as JSON, in UTF-16 code units. */
export const MAX_RESPONSE_LENGTH = 8192;

/**
 * The HTTP response to a thrown value; undefined if it has none. A `response` that is too large, or that JSON cannot carry, becomes
 * `{ statusCode, message }`. Never throws.
 * @param isSecret whether the payload of the job is encrypted. A body may repeat it, so only status and message travel.
 */
export function httpReplyOf(error: unknown, isSecret: boolean): HttpReply | undefined {
  const asked = askedBy(error) ?? passedOnBy(error);
  if (asked?.response === undefined || asked.response === null) return asked && { status: asked.status };
  // guards: http-response.httpReplyOf
  const json = isSecret ? undefined : jsonWithin(asked.response, MAX_RESPONSE_LENGTH);
  const short = { statusCode: asked.status, message: ownMessageOf(error) };
  return { status: asked.status, response: json === undefined ? short : JSON.parse(json) };
}

/** Reads a stored HTTP response. Data that another program wrote counts as none. */
export function isHttpReply(value: unknown): value is HttpReply {
  return isStatus(readProperty(value, 'status'));
}

/** The HTTP response that an `HttpException` asks for. */
function askedBy(error: unknown): HttpReply | undefined {
  const status = call(error, 'getStatus');
  if (!isStatus(status)) return undefined;
  const response = call(error, 'getResponse');
  const errorCode = readProperty(error, 'errorCode');
  // Nest 12 adds an errorCode to a body that it creates from a text, and sends none for an error.
  if (typeof response === 'string' && typeof errorCode === 'string') {
    return { status, response: { statusCode: status, message: response, errorCode } };
  }
  return isError(response) ? { status } : { status, response };
}

/** The HTTP response in a `HandlerError` that a handler has not caught, after it waited for another job. */
function passedOnBy(error: unknown): HttpReply | undefined {
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
