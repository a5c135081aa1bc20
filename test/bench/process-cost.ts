import { readFileSync } from "node:fs";

/** Clock ticks of /proc in a second: USER_HZ, 100 on every Linux (proc(5)). */
const ticksPerSecond = 100;

/** Processor time that a process has used so far, all its threads, user and system, in microseconds (proc(5), /proc/pid/stat). */
export function cpuMicros(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return ((Number(fields[11]) + Number(fields[12])) / ticksPerSecond) * 1e6;
}

/** Resident memory of a process in KiB (proc(5), VmRSS). */
export function residentKib(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0);
}

/** A process and all that it has started, and those have (proc(5), /proc/pid/task/tid/children). */
export function processTree(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter((word) => word !== "").map(Number);
  return [pid, ...children.flatMap(processTree)];
}
