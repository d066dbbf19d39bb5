/**
 * The exception filter that answers an HTTP request with the `HttpException` of a job's handler, if a controller waited for the job.
 * Neighbour: `core/model/http-response.ts` decides which parts of an `HttpException` travel.
 */
import { STATUS_CODES } from 'node:http';
import { type ArgumentsHost, Catch, HttpException } from '@nestjs/common';
import { BaseExceptionFilter } from '@nestjs/core';
import { type Observable, throwError } from 'rxjs';
import { HandlerError } from '../../core/calls/call-errors.js';

/** Nest's reply outside of HTTP to an unknown error. */
const UNKNOWN_ERROR = { status: 'error', message: 'Internal server error' };

/**
 * Answers an HTTP request with the status and body of the `HttpException` that a job's handler threw, as if the controller had thrown
 * it. A `HandlerError` without a `status` gets Nest's 500. Works on Express and Fastify. Outside of HTTP it changes nothing: there a
 * `HandlerError` counts as any unknown error.
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
  /** @throws the error itself in another kind of context, such as GraphQL or the handler of a job: its caller handles it. */
  override catch(error: HandlerError, host: ArgumentsHost): Observable<never> | undefined {
    const kind = host.getType<string>();
    if (kind === 'http') {
      super.catch((asHttpException(error) ?? error) as HandlerError, host);
      return undefined;
    }
    // An error thrown by a filter would crash a gateway, or an older microservice.
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
