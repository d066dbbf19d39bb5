/** Calls about many things: so many at once as keep Redis from everything else for a moment only. */

/** What `send` gives for each of `all`, in their order; it gets `perCall` of them at most, one page after the other. */
export async function inPages<T, R>(
  all: readonly T[],
  perCall: number,
  send: (page: readonly T[]) => Promise<readonly R[]>,
): Promise<R[]> {
  const answers: R[] = [];
  for (let from = 0; from < all.length; from += perCall) answers.push(...(await send(all.slice(from, from + perCall))));
  return answers;
}
