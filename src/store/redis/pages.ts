/** Calls about many things, in pages: while one call runs, Redis does nothing else (I11). Neighbours: the roles, which use it. */

/** The results of `send` for all of `all`, in their order. `send` gets at most `perCall` of them, one page after the other. */
export async function inPages<T, R>(
  all: readonly T[],
  perCall: number,
  send: (page: readonly T[]) => Promise<readonly R[]>,
): Promise<R[]> {
  const results: R[] = [];
  for (let from = 0; from < all.length; from += perCall) results.push(...(await send(all.slice(from, from + perCall))));
  return results;
}
