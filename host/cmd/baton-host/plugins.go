package main

import (
	"github.com/spf13/cobra"

	"github.com/batonhost/baton-host/host/internal/supervise"
)

func newPluginsCommand(root *rootOptions) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "plugins",
		Short: "Show which plugin binaries are found, and where",
		Long: `Show which plugin binaries are found, and where. None of them is started; what
one is and takes is shown by "baton-host inspect APP".

A binary named baton-APP serves the app APP. It is looked for in the directories
given by --plugin-dir, then beside baton-host itself, then along PATH; the first
one is used.`,
		Example: `  baton-host plugins
  baton-host plugins --plugin-dir ./bin --output json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			found := supervise.NewFinder(root.pluginDirs).List()
			out := newStream(cmd.OutOrStdout(), output, "app", "path", "note")
			for _, binary := range found {
				note := ""
				if binary.Shadowed {
					note = "not used: an earlier directory has one"
				}
				out.add(listedPlugin(binary), binary.App, binary.Path, note)
			}
			return out.end()
		},
	}
	addOutputFlag(cmd, &output, outputTable, outputJSON, outputCSV)
	return cmd
}

type listedPlugin struct {
	App      string `json:"app"`
	Path     string `json:"path"`
	Shadowed bool   `json:"shadowed"`
}
