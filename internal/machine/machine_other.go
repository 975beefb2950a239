//go:build !linux

package machine

// Disk cannot tell here.
func Disk(string) (free, total uint64, ok bool) { return 0, 0, false }

// Memory cannot tell here.
func Memory() uint64 { return 0 }
