/** One library module to an application: two would be two pods, each with a bus, workers and connections of its own. */
import type { InjectionToken } from '@nestjs/common';
import type { ModulesContainer } from '@nestjs/core';
import { InvalidOptionError } from '../../core/model/errors.js';

/**
 * Counts the modules that have options of this library. The same dynamic module imported in several places is one module.
 * @throws InvalidOptionError
 */
export function checkOneModule(modules: ModulesContainer, optionsToken: InjectionToken): void {
  const count = [...modules.values()].filter(({ providers }) => providers.has(optionsToken)).length;
  // guards: one-module.checkOneModule
  if (count <= 1) return;
  throw new InvalidOptionError(
    `This application imports ${count} different AtomicQueuesModule: each would be a pod of its own, with its own QueueBus and connections. Import AtomicQueuesModule.forRoot(…) or forRootAsync(…) once, in the root module: it is global. Take the others out, also AtomicQueuesModule without forRoot.`,
  );
}
