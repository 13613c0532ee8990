// Command older is the connector of a workspace as connectors were built before
// config.RunConnector: by the first version of the SDK's interfaces.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/conductorone/baton-sdk/pkg/config"

	"example.com/baton-workspace/connector"
)

func main() {
	_, command, err := config.DefineConfiguration(context.Background(), "baton-workspace", connector.NewOlder, connector.Schema)
	if err == nil {
		command.Version = "0.9.0"
		err = command.Execute()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
