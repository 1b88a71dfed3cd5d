import packageJson from "../package.json" with { type: "json" };

/** Of this operator or enforcer. */
export const VERSION: string = packageJson.version;
