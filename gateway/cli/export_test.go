package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/peal-dev/peal/gateway"
)

// Config returns what the flags of `peal serve`, the environment and the file make of the configuration.
func Config(args ...string) (gateway.Config, error) {
	var root commands
	_, err := newParser(&root, io.Discard, io.Discard).parse(append([]string{"serve"}, args...))
	return root.Serve.Config, err
}

// ParseFile returns the values of a configuration file with the keys a and b as "key=value" lines.
func ParseFile(text string) (string, error) {
	values, err := parseFile("f.yaml", strings.NewReader(text), []string{"a", "b"})
	return strings.TrimPrefix(fmt.Sprint(map[string]string(values)), "map"), err
}

// FormatSize is formatSize.
func FormatSize(n int) string { return formatSize(n) }

// Flag is one flag of one command.
type Flag struct {
	Command string
	*kong.Flag
}

// Flags returns the flags of all commands.
func Flags() (flags []Flag) {
	for _, command := range newParser(new(commands), io.Discard, io.Discard).Model.Children {
		for _, flag := range command.Flags {
			flags = append(flags, Flag{command.Name, flag})
		}
	}
	return flags
}
