/** What a run does, in order, for a display that shows it before it begins. */
import { type Plan, type Step, usesPython } from '../plan.js';

export interface Task {
  /** Of the events about it. */
  id: string;
  title: string;
}

export const VENV_TASK: Task = { id: 'venv', title: 'virtual environment' };

export const sourceTask = (plan: Plan, name: string, tag: string): Task => ({
  id: `${plan.recipe}/source/${name}`,
  title: `clone ${name} ${tag}`,
});

export const packageTask = (plan: Plan, name: string): Task => ({
  id: `${plan.recipe}/package/${name}`,
  title: `fetch ${name} and what it requires`,
});

export const verifyTask = (plan: Plan): Task => ({ id: `${plan.recipe}/verify`, title: 'verify' });

/** The steps that are commands to run: fetching a source is not, for the runner verifies what it gets. */
export const commandSteps = ({ steps }: Plan): Step[] => steps.filter(({ source }) => source === null);

export function tasksOf(plans: Plan[]): Task[] {
  const each = plans.flatMap((plan) => {
    const name = (task: Task): Task =>
      plans.length === 1 ? task : { id: task.id, title: `${plan.recipe}: ${task.title}` };
    return [
      ...plan.sources.flatMap((source) => {
        if (source.kind === 'git') return [sourceTask(plan, source.name, source.tag)];
        return source.index !== null ? [packageTask(plan, source.name)] : [];
      }),
      ...commandSteps(plan),
      ...(plan.checks.length > 0 ? [verifyTask(plan)] : []),
    ].map(name);
  });
  return plans.some(usesPython) ? [VENV_TASK, ...each] : each;
}
