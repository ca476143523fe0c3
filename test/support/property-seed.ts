import fc from "fast-check";

/**
 * Property tests look at the same examples in every run, so that a run says something about the change at hand and not
 * about luck. PROPERTY_SEED=random looks for new ones, PROPERTY_SEED=<number> looks again at those of a failure.
 */
const seed = process.env["PROPERTY_SEED"] ?? "20261121";
if (seed !== "random") fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: Number(seed) });
