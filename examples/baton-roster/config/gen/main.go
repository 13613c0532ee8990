// Command gen writes conf.gen.go, the struct of the configuration of baton-roster.
package main

import (
	sdkconfig "github.com/conductorone/baton-sdk/pkg/config"

	"github.com/batonhost/baton-host/examples/baton-roster/config"
)

func main() {
	sdkconfig.Generate("roster", config.Schema)
}
