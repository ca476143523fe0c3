import { parseBoolean } from "../core/index.ts";

/** Fields of a flag such as `type=…,key=value`, each of which is taken once. */
export abstract class TypedFields {
  protected readonly values = new Map<string, string>();

  /** A field that is written twice with two values is a mistake of whoever writes it: one of them would count for nothing. */
  protected put(key: string, value: string): void {
    if ((this.values.get(key) ?? value) !== value)
      this.fail(`${key} is given twice: leave one out`);
    this.values.set(key, value);
  }

  take(key: string): string | undefined {
    const value = this.values.get(key);
    this.values.delete(key);
    return value;
  }

  takeBoolean(key: string): boolean | undefined {
    const value = this.take(key);
    if (value === undefined) return undefined;
    return value === "" ? true : (parseBoolean(value) ?? this.fail(`${key} is true or false`));
  }

  takeOneOf<T extends string>(key: string, choices: readonly T[]): T | undefined {
    const value = this.take(key);
    if (value === undefined) return undefined;
    return (
      choices.find((choice) => choice === value) ?? this.fail(`${key} is ${choices.join(" or ")}`)
    );
  }

  /** @throws what the flag is refused with */
  abstract fail(hint: string): never;
}
