/** One library module per application: two would be two pods, each with its own bus, workers and connections. */
import type { InjectionToken } from '@nestjs/common';
import type { ModulesContainer } from '@nestjs/core';
import { InvalidOptionError } from '../../core/model/errors.js';

/**
 * Counts the modules with options of this library. One dynamic module that is imported in several places counts once.
 * @throws InvalidOptionError
 */
export function checkOneModule(modules: ModulesContainer, optionsToken: InjectionToken): void {
  const count = [...modules.values()].filter(({ providers }) => providers.has(optionsToken)).length;
  // guards: one-module.checkOneModule
  if (count <= 1) return;
  throw new InvalidOptionError(
    `This application imports ${count} different AtomicQueuesModule: each would be a pod of its own, with its own QueueBus and connections. Import AtomicQueuesModule.forRoot(…) or forRootAsync(…) once, in the root module: it is global. Remove the others, also AtomicQueuesModule without forRoot.`,
  );
}
