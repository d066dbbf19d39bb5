/**
 * The exception filter that gives an HTTP client the answer which the handler of a job asked for, when a controller has waited for it.
 * Neighbour: `core/model/http-response.ts` says what of an `HttpException` travels.
 */
import { STATUS_CODES } from 'node:http';
import { type ArgumentsHost, Catch, HttpException } from '@nestjs/common';
import { BaseExceptionFilter } from '@nestjs/core';
import { type Observable, throwError } from 'rxjs';
import { HandlerError } from '../../core/calls/call-errors.js';

/** What Nest answers outside of HTTP to an error that it does not know. */
const UNKNOWN_ERROR = { status: 'error', message: 'Internal server error' };

/**
 * Answers an HTTP request with the status and body of the `HttpException` that the handler of a job has thrown: as Nest would, had the
 * controller thrown it. A `HandlerError` without a `status` gets Nest's 500. Works on Express and Fastify. Outside of HTTP it changes
 * nothing: a `HandlerError` is there what any unknown error is.
 *
 * @example
 * ```ts
 * providers: [{ provide: APP_FILTER, useClass: HandlerErrorFilter }]
 * // or: app.useGlobalFilters(new HandlerErrorFilter(app.get(HttpAdapterHost).httpAdapter));
 * // or, on a controller or one of its methods: @UseFilters(HandlerErrorFilter)
 * ```
 */
@Catch(HandlerError)
export class HandlerErrorFilter extends BaseExceptionFilter<HandlerError> {
  /** @throws the error itself in a context of another kind, such as GraphQL or the handler of a job: its caller deals with it. */
  override catch(error: HandlerError, host: ArgumentsHost): Observable<never> | undefined {
    const kind = host.getType<string>();
    if (kind === 'http') {
      super.catch((asHttpException(error) ?? error) as HandlerError, host);
      return undefined;
    }
    // What a filter throws would crash a gateway, or an older microservice.
    if (kind === 'rpc') return throwError(() => UNKNOWN_ERROR);
    if (kind !== 'ws') throw error;
    host.switchToWs().getClient().emit('exception', UNKNOWN_ERROR);
    return undefined;
  }
}

function asHttpException({ status, response, message }: HandlerError): HttpException | undefined {
  if (status === undefined) return undefined;
  const body = response ?? STATUS_CODES[status] ?? message;
  return new HttpException(body as string | object, status);
}
