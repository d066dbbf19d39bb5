/** Injection tokens of what is not a class. */
export const DATABASE = Symbol('database');
export const POD_NAME = Symbol('pod name');
