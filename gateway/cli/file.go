package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"
)

// fileFlag names the flag that names the configuration file.
const fileFlag = "config"

// fileResolver gives flags the values that stand in a configuration file under their names.
type fileResolver map[string]string

var _ kong.Resolver = fileResolver(nil)

// loadFile reads a YAML file whose keys are names of flags.
func loadFile(path string, flags []*kong.Flag) (fileResolver, error) {
	var names []string
	for _, flag := range flags {
		if flag.Name != fileFlag {
			names = append(names, flag.Name)
		}
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("--%s: %w", fileFlag, err)
	}
	defer func() { _ = file.Close() }()
	return parseFile(path, file, names)
}

// parseFile returns the values as flags have them. path is for errors, of which there may be several, one to a line.
func parseFile(path string, r io.Reader, names []string) (fileResolver, error) {
	var document yaml.Node
	if err := yaml.NewDecoder(r).Decode(&document); errors.Is(err, io.EOF) {
		return fileResolver{}, nil
	} else if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	root := document.Content[0]
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		return fileResolver{}, nil
	}
	if root.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%s:%d: expected keys and values, such as \"listen: :8080\"", path, root.Line)
	}
	values := fileResolver{}
	var errs []error
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		if !slices.Contains(names, key.Value) {
			errs = append(errs, fmt.Errorf("%s:%d: unknown key %q; %s", path, key.Line, key.Value, suggest(key.Value, names)))
			continue
		}
		if _, again := values[key.Value]; again {
			errs = append(errs, fmt.Errorf("%s:%d: %q is given twice", path, key.Line, key.Value))
			continue
		}
		text, err := flagText(value)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s:%d: %s: %w", path, value.Line, key.Value, err))
			continue
		}
		values[key.Value] = text
	}
	return values, errors.Join(errs...)
}

// flagText writes a value as it would be given to the flag: lists with commas.
func flagText(value *yaml.Node) (string, error) {
	if value.Kind == yaml.AliasNode {
		value = value.Alias
	}
	switch value.Kind {
	case yaml.ScalarNode:
		return value.Value, nil
	case yaml.SequenceNode:
		var list []string
		for _, item := range value.Content {
			if item.Kind != yaml.ScalarNode {
				return "", errors.New("expected a list of plain values")
			}
			list = append(list, item.Value)
		}
		return kong.JoinEscaped(list, ','), nil
	}
	return "", errors.New("expected a value or a list")
}

// Validate accepts everything: parseFile has checked the keys.
func (r fileResolver) Validate(*kong.Application) error { return nil }

// Resolve returns the file's value of a flag, unless the environment has one, which wins.
func (r fileResolver) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	for _, name := range flag.Envs {
		if _, ok := os.LookupEnv(name); ok {
			return nil, nil
		}
	}
	if text, ok := r[flag.Name]; ok {
		return text, nil
	}
	return nil, nil
}

// suggest names the known key that is nearest to an unknown one, or all if none is near.
func suggest(unknown string, known []string) string {
	if name := nearest(unknown, known); name != "" {
		return fmt.Sprintf("did you mean %q?", name)
	}
	return "there are " + strings.Join(known, ", ")
}

// nearest returns the known word that is most like an unknown one, or "" if none is much like it.
func nearest(unknown string, known []string) string {
	found, best := "", 1+len(unknown)/2
	for _, name := range known {
		if d := distance(unknown, name); d < best {
			found, best = name, d
		}
	}
	return found
}

// distance is how many bytes must be inserted, deleted or replaced to make b of a (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
