package scim

// role is a role of an app and how many people of a hundred have it.
type role struct {
	name  string
	share int
}

// rolesOf are the roles people can have in an app. Fullstory's are those of its
// product; how it sends them over SCIM is not published, so they travel in the
// core attribute roles.
func rolesOf(app string) []role {
	switch app {
	case "fullstory":
		return []role{{"Admin", 6}, {"Architect", 9}, {"Standard", 45}, {"Explorer", 25}, {"Guest", 15}}
	case "design-tool":
		return []role{{"Owner", 2}, {"Admin", 8}, {"Editor", 40}, {"Viewer", 50}}
	default:
		return []role{{"Owner", 2}, {"Admin", 8}, {"Member", 75}, {"Guest", 15}}
	}
}

// role draws one.
func (c *generator) role() string {
	drawn := c.random.IntN(100)
	last := len(c.roles) - 1
	for _, role := range c.roles[:last] {
		if drawn -= role.share; drawn < 0 {
			return role.name
		}
	}
	return c.roles[last].name
}
