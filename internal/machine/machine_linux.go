package machine

import "syscall"

// Disk measures the disk a directory lies on, in bytes; ok is false when it
// cannot be told.
func Disk(dir string) (free, total uint64, ok bool) {
	var s syscall.Statfs_t
	if dir == "" || syscall.Statfs(dir, &s) != nil {
		return 0, 0, false
	}
	unit := uint64(s.Bsize) //nolint:gosec // a block size is positive
	return s.Bavail * unit, s.Blocks * unit, true
}

// Memory gives the machine's memory in bytes; 0 when it cannot be told.
func Memory() uint64 {
	var s syscall.Sysinfo_t
	if syscall.Sysinfo(&s) != nil {
		return 0
	}
	return s.Totalram * uint64(s.Unit)
}
