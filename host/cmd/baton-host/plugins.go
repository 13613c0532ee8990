package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/batonhost/baton-host/host"
)

func newPluginsCommand(root *rootOptions) *cobra.Command {
	var configFile, output string
	cmd := &cobra.Command{
		Use:   "plugins",
		Short: "Show which plugin binaries are configured and found, and where",
		Long: `Show which plugin binaries are configured and found, and where. None of them is
started; what one is and takes is shown by "baton-host inspect APP".

A binary named baton-APP serves the app APP. It is looked for in the directories
given by --plugin-dir, then in the plugin-dirs of the configuration file, then
beside baton-host itself, then along PATH; the first one is used. The plugins of
the configuration come first, also those whose entry names their program.`,
		Example: `  baton-host plugins
  baton-host plugins --config baton-host.yaml
  baton-host plugins --plugin-dir ./bin --output json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			programs, isConfigured, err := host.Programs(cmd.Context(), configFile, root.hostOptions(cmd.Context(), host.NoSecrets))
			if err != nil {
				return err
			}
			columns := []string{"app", "path", "note"}
			if isConfigured {
				columns = append([]string{"plugin"}, columns...)
			}
			out := newStream(cmd.OutOrStdout(), output, columns...)
			for _, program := range programs {
				row := []string{program.App, strings.Join(append([]string{program.Path}, program.Files...), " "), noteOf(program)}
				if isConfigured {
					row = append([]string{program.Plugin}, row...)
				}
				out.add(listedOf(program), row...)
			}
			return out.end()
		},
	}
	cmd.Flags().StringVarP(&configFile, "config", "c", "", "the configuration file (default "+host.DefaultConfigFile+" if there is one)")
	addOutputFlag(cmd, &output, outputTable, outputJSON, outputCSV)
	return cmd
}

// noteOf returns what a person must know of a program.
func noteOf(program host.Program) string {
	var notes []string
	if program.IsUnmodified {
		notes = append(notes, "unmodified connector")
	}
	if program.IsShadowed {
		notes = append(notes, "not used: an earlier directory has one")
	}
	if program.Err != nil {
		notes = append(notes, "cannot be started: "+wordsOf(program.Err))
	}
	return strings.Join(notes, "; ")
}

type listedPlugin struct {
	Plugin     string   `json:"plugin,omitempty"`
	App        string   `json:"app"`
	Path       string   `json:"path"`
	Files      []string `json:"files,omitempty"`
	Unmodified bool     `json:"unmodified"`
	Shadowed   bool     `json:"shadowed"`
	Error      string   `json:"error,omitempty"`
}

func listedOf(program host.Program) listedPlugin {
	listed := listedPlugin{
		Plugin: program.Plugin, App: program.App, Path: program.Path, Files: program.Files,
		Unmodified: program.IsUnmodified, Shadowed: program.IsShadowed,
	}
	if program.Err != nil {
		listed.Error = wordsOf(program.Err)
	}
	return listed
}
