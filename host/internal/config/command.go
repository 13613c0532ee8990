package config

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/batonhost/baton-host/host/internal/files"
)

// command is a program with arguments: an interpreter and a script, say. The
// program is a path or found along PATH. An argument that names an existing file,
// seen from the configuration, is that file.
func (l *loader) command(e entry, plugin *Plugin) {
	nodes := l.list(e.value, "command")
	if e.key != nil && emptyCollection(e.value) {
		l.report(e.key, "command needs the program to start, and its arguments if there are any")
	}
	for i, node := range nodes {
		text, ok := l.plainText(node, "an item of command")
		switch {
		case !ok:
		case i > 0:
			plugin.Args = append(plugin.Args, l.argument(text))
		case strings.ContainsRune(text, filepath.Separator):
			plugin.Path = files.Within(l.dir, text)
		default:
			path, err := exec.LookPath(text)
			if err != nil {
				l.report(node, "there is no program %s along PATH; give its path", quotedName(text))
				continue
			}
			plugin.Path = path
		}
	}
}

// argument is the argument, or what follows its "=", as an absolute path where it
// names a file.
func (l *loader) argument(text string) string {
	flag, value := "", text
	if strings.HasPrefix(text, "-") {
		name, after, found := strings.Cut(text, "=")
		if !found {
			return text
		}
		flag, value = name+"=", after
	}
	if _, err := os.Stat(files.Within(l.dir, value)); value == "" || err != nil {
		return text
	}
	return flag + files.Within(l.dir, value)
}
