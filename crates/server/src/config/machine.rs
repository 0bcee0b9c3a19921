//! What the machine has, for the defaults.

use std::fs;

const MIB: u64 = 1024 * 1024;

/// Memory that this process may use, in MiB: the machine's, or less if a control group says so.
pub(super) fn memory_mib() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| total_kib(&text)).map(|kib| kib / 1024);
    let group = fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let group = group.and_then(|text| text.trim().parse::<u64>().ok()).map(|bytes| bytes / MIB);
    machine.into_iter().chain(group).min()
}

/// Processors that this process may use.
pub(super) fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn total_kib(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn reads_the_total() {
        let text = "MemTotal:       16316412 kB\nMemFree:  1 kB\n";
        assert_eq!(super::total_kib(text), Some(16_316_412));
        assert_eq!(super::total_kib("MemFree: 1 kB\n"), None);
    }
}
