/** Something in data from outside is not what it should be; `path` says where (`spec.tiers[2].name`). */
export class ReadError extends Error {
  readonly path: string;
  readonly problem: string;

  constructor(path: string, problem: string) {
    super(path === "" ? problem : `${path}: ${problem}`);
    this.name = "ReadError";
    this.path = path;
    this.problem = problem;
  }
}

/**
 * A value from outside with the path that led to it. Every accessor either returns a typed value or throws a
 * ReadError.
 */
export class Reader {
  readonly value: unknown;
  readonly path: string;

  constructor(value: unknown, path = "") {
    this.value = value;
    this.path = path;
  }

  /** The member `key` of an object; absent and `null` members read as absent, as Kubernetes treats them. */
  at(key: string): Reader {
    const record = this.value;
    if (!isRecord(record)) throw this.wrong("an object");
    return new Reader(
      Object.hasOwn(record, key) ? record[key] : undefined,
      this.path === "" ? key : `${this.path}.${key}`,
    );
  }

  get present(): boolean {
    return this.value !== undefined && this.value !== null;
  }

  keys(): readonly string[] {
    if (!isRecord(this.value)) throw this.wrong("an object");
    return Object.keys(this.value);
  }

  /** @throws ReadError that names the first member which is none of `known`. */
  onlyKeys(known: readonly string[]): void {
    const stranger = this.keys().find((key) => !known.includes(key));
    if (stranger === undefined) return;
    throw new ReadError(this.at(stranger).path, `unknown field; known here: ${known.join(", ")}`);
  }

  text(): string {
    if (typeof this.value !== "string") throw this.wrong("a string");
    return this.value;
  }

  flag(): boolean {
    if (typeof this.value !== "boolean") throw this.wrong("true or false");
    return this.value;
  }

  integer(min = Number.MIN_SAFE_INTEGER, max = Number.MAX_SAFE_INTEGER): number {
    const { value } = this;
    if (typeof value !== "number" || !Number.isInteger(value) || value < min || value > max) {
      const range = min === Number.MIN_SAFE_INTEGER ? "" : ` from ${min} to ${max}`;
      throw this.wrong(`a whole number${range}`);
    }
    return value;
  }

  oneOf<T extends string>(values: readonly T[]): T {
    const found = values.find((value) => value === this.value);
    if (found === undefined) throw this.wrong(`one of ${values.join(", ")}`);
    return found;
  }

  list(): readonly Reader[] {
    if (!Array.isArray(this.value)) throw this.wrong("a list");
    return this.value.map((item: unknown, index) => new Reader(item, `${this.path}[${index}]`));
  }

  /** `read` of every item of a list. */
  each<T>(read: (item: Reader) => T): readonly T[] {
    return this.list().map((item) => read(item));
  }

  /** A map of strings, such as labels. */
  texts(): Readonly<Record<string, string>> {
    return Object.fromEntries(this.keys().map((key) => [key, this.at(key).text()]));
  }

  /** `read` of this value, or `fallback` where it is absent. */
  or<T>(read: (reader: Reader) => T, fallback: NoInfer<T>): T {
    return this.present ? read(this) : fallback;
  }

  /** `read` of this value, or `undefined` where it is absent. */
  maybe<T>(read: (reader: Reader) => T): T | undefined {
    return this.present ? read(this) : undefined;
  }

  wrong(expected: string): ReadError {
    const found = this.present
      ? `not ${JSON.stringify(this.value)?.slice(0, 60) ?? typeof this.value}`
      : "it is missing";
    return new ReadError(this.path, `must be ${expected}; ${found}`);
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
