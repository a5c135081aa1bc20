import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { test } from "node:test";
import ts from "typescript";

const project = resolve(import.meta.dirname, "../..");

/** Names that a file exports, members of its exported classes and the inputs of its components among them, without a docstring. */
function undocumented(file: string): string[] {
  const source = ts.createSourceFile(file, readFileSync(join(project, file), "utf8"), ts.ScriptTarget.Latest, true);
  return source.statements.flatMap((statement) => {
    if (!ts.canHaveModifiers(statement) || ts.getModifiers(statement)?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword) !== true) return [];
    return [statement, ...membersOf(statement)].filter((node) => ts.getJSDocCommentsAndTags(node).length === 0).map((node) => `${file}: ${node.getText().split("\n")[0]!}`);
  });
}

function membersOf(statement: ts.Statement): readonly ts.Node[] {
  if (ts.isInterfaceDeclaration(statement)) return statement.name.text.endsWith("Args") ? statement.members : [];
  // What a class says by its base or its interface is documented there.
  if (!ts.isClassDeclaration(statement) || statement.heritageClauses?.some(({ token }) => token === ts.SyntaxKind.ImplementsKeyword) === true) return [];
  return statement.members.filter((member) => member.name !== undefined && !ts.isPrivateIdentifier(member.name) && member.name.getText() !== "code");
}

test("every name that the components, the provider and the stacks' program export says what it is for", () => {
  const files = globSync(["components/**/*.ts", "stacks/*.ts"], { cwd: project });
  assert.ok(files.length > 50, "the rooms have moved");
  assert.deepEqual(files.flatMap(undocumented), []);
});
