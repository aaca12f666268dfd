// Validates documents with ajv: `validate.mjs SCHEMA`, one JSON document a line on standard input; prints true or false for each.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(process.cwd() + "/");
const Ajv = require("ajv/dist/2020").default;
const ajv = new Ajv({ strict: false, validateFormats: false });
const validate = ajv.compile(JSON.parse(readFileSync(process.argv[2], "utf8")));
for (const line of readFileSync(0, "utf8").split("\n").filter((line) => line)) {
    console.log(validate(JSON.parse(line)));
}
