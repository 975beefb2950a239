// Package machine tells what the machine has: room where data lies, memory.
package machine
