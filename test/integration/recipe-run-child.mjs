// Run by recipe-run-kill.test.ts: one run of a plan in a process that may be killed. Arguments: plan (JSON), build folder.
import { runPlans } from '../../dist/recipe/run/run.js';

const [plan, build] = process.argv.slice(2);
const controller = new AbortController();
process.once('SIGINT', () => controller.abort());
try {
  const [{ numRun }] = await runPlans([JSON.parse(plan)], {
    build,
    venv: null,
    signal: controller.signal,
    onEvent: () => {},
    explain: () => [],
    resume: 'again',
  });
  console.log(`ran ${numRun}`);
} catch (error) {
  console.log(`${error.code}: ${error.message}`);
  process.exitCode = 1;
}
