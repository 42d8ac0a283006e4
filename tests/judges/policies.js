// Says as JSON what Google's CSP Evaluator finds in policies: [[{severity, directive, value, description}, ...], ...].
// argv: where the packages of package.json lie. stdin: the policies as JSON.
const [packages] = process.argv.slice(2);
const { CspEvaluator } = require(`${packages}/csp_evaluator/dist/evaluator.js`);
const { CspParser } = require(`${packages}/csp_evaluator/dist/parser.js`);
const { Severity } = require(`${packages}/csp_evaluator/dist/finding.js`);

const found = (policy) =>
  new CspEvaluator(new CspParser(policy).csp)
    .evaluate()
    .map(({ severity, directive, value, description }) => ({ severity: Severity[severity], directive, value, description }));

const policies = JSON.parse(require("fs").readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(policies.map(found)));
