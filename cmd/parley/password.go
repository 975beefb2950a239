package main

import (
	"bufio"
	"os"
	"strings"

	"golang.org/x/term"
)

// readPassword reads one line; on a terminal it asks and does not echo.
func readPassword(e *env, f *os.File) (string, error) {
	if term.IsTerminal(int(f.Fd())) {
		e.printf("%s ", e.say("密码：", "Password:"))
		b, err := term.ReadPassword(int(f.Fd()))
		e.printf("\n")
		return string(b), err
	}
	line, err := bufio.NewReader(f).ReadString('\n')
	if line != "" {
		err = nil
	}
	return strings.TrimRight(line, "\r\n"), err
}
