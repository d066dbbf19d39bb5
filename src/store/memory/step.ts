/** One step of the store in memory. Neighbours: the roles, whose methods are such steps. */

/** Takes effect now. Responses come in the order of the calls. */
export function step<T>(run: () => T): Promise<T> {
  try {
    return Promise.resolve(run());
  } catch (error) {
    return Promise.reject(error);
  }
}
