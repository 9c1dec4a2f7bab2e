import type { Project } from '@anteroom/sdk'
import { type Command, UsageError } from '../command.ts'
import { controllerOf } from '../controller.ts'

export const project: Command = {
  name: 'project',
  synopsis: 'project list | project create <name>',
  does: 'projects, whose keys see their own sessions and connections only',
  flags: [],
  async run([what, ...words], { home, json }) {
    const [name] = words
    const makes = what === 'create' && name !== undefined && words.length === 1
    if (!makes && !(what === 'list' && words.length === 0))
      throw new UsageError('Say what to do: project list, or project create with one name.')
    const { projects } = await controllerOf(home)
    if (makes) {
      const made = await projects.create({ name })
      return { text: json ? JSON.stringify(made, null, 2) : projectText(made), exitCode: 0 }
    }
    const all: Project[] = []
    for (let cursor: string | null | undefined; cursor !== null; ) {
      const page = await projects.list({ limit: 100, ...(cursor !== undefined && { cursor }) })
      all.push(...page.items)
      cursor = page.next_cursor
    }
    return { text: json ? JSON.stringify(all, null, 2) : all.map(projectText).join('\n'), exitCode: 0 }
  },
}

const projectText = ({ id, name, created_at }: Project): string => [id, name, `since ${created_at}`].join('  ')
