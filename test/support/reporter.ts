import type { Reporter, TestCase, TestModule } from "vitest/node";

/** Where the reporter's lines go; `console.log` unless a test says otherwise. */
export type Print = (line: string) => void;

/**
 * Ends a run with one line alone, `N passed, N failed, N skipped`, for machines that read the log. Before it stands
 * every skipped test with its reason, because a skip without a reason is a hole that nobody sees; then every failure, last,
 * because a log that is cut keeps its end. A file that could not be loaded, and an error outside of any test, count as
 * failures.
 */
export default class CountsReporter implements Reporter {
  readonly #print: Print;

  /** Vitest itself passes an options object or nothing. */
  constructor(print?: unknown) {
    this.#print = isPrint(print) ? print : console.log;
  }

  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    const skipped = tests.filter((test) => test.result().state === "skipped");
    for (const test of skipped) this.#print(`skipped: ${pathOf(test)}: ${reasonOf(test)}`);
    const passed = tests.filter((test) => test.result().state === "passed").length;
    // `pending` means that the run ended before the test did: nobody may take that for a success.
    const failed = tests.length - passed - skipped.length;
    const broken = modules.filter(failedOutsideOfTests);
    const outside = broken.length + unhandledErrors.length;
    for (const test of tests) if (isFailed(test)) this.#printFailure(pathOf(test), errorsOf(test));
    for (const module of broken) this.#printFailure(module.relativeModuleId, errorsAround(module));
    if (unhandledErrors.length > 0) this.#printFailure("outside of any test", unhandledErrors);
    this.#print(
      `${String(passed)} passed, ${String(failed + outside)} failed, ${String(skipped.length)} skipped`,
    );
  }

  #printFailure(place: string, errors: readonly unknown[]): void {
    const reasons = errors.map((error) => messageOf(error).replaceAll(/\s+/g, " ").slice(0, 1000));
    this.#print(`failed: ${place}: ${reasons.join("; ") || "no reason given"}`);
  }
}

function isFailed(test: TestCase): boolean {
  const { state } = test.result();
  return state === "failed" || state === "pending";
}

function errorsOf(test: TestCase): readonly unknown[] {
  const result = test.result();
  return result.state === "pending" ? ["the run ended before it did"] : (result.errors ?? []);
}

function errorsAround(module: TestModule): readonly unknown[] {
  const suites = [...module.children.allSuites()];
  return [...module.errors(), ...suites.flatMap((suite) => suite.errors())];
}

function messageOf(error: unknown): string {
  const hasMessage = typeof error === "object" && error !== null && "message" in error;
  return String(hasMessage ? error.message : error);
}

function isPrint(value: unknown): value is Print {
  return typeof value === "function";
}

function failedOutsideOfTests(module: TestModule): boolean {
  const suites = [...module.children.allSuites()];
  return module.errors().length > 0 || suites.some((suite) => suite.errors().length > 0);
}

function pathOf(test: TestCase): string {
  return `${test.module.relativeModuleId} > ${test.fullName}`;
}

function reasonOf(test: TestCase): string {
  const result = test.result();
  const note = result.state === "skipped" ? result.note : undefined;
  return note ?? (setupFailed(test) ? "its set-up failed" : "no reason given");
}

function setupFailed(test: TestCase): boolean {
  let parent = test.parent;
  while (parent.type === "suite" && parent.errors().length === 0) parent = parent.parent;
  return parent.errors().length > 0;
}
