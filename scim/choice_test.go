package scim_test

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	"github.com/batonhost/baton-host/scim"
)

// TestAuthentication: what the options hold is sent with each request, and nothing
// besides.
func TestAuthentication(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		options       scim.Options
		authorization string
		headers       map[string]string
	}{
		"a token":                    {scim.Options{Token: "tok-1"}, "Bearer tok-1", nil},
		"a user name and a password": {scim.Options{Username: "ann", Password: "s3: c ret"}, "Basic YW5uOnMzOiBjIHJldA==", nil},
		"further headers": {
			scim.Options{Token: "tok-1", Headers: map[string]string{" x-api-key ": " k1 ", "X-Tenant": "7"}},
			"Bearer tok-1",
			map[string]string{"X-Api-Key": "k1", "X-Tenant": "7"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newApp(150)
			c.options.BaseURL, c.options.UserAgent = start(t, a), "baton-test/v1"
			client, err := scim.NewClient(t.Context(), c.options)
			require.NoError(t, err)
			accounts, err := listAll(t, serveConnector(t, client))
			require.NoError(t, err)
			requireIDs(t, a.ids, accounts)
			require.Greater(t, len(a.requests), 1)
			for _, r := range a.requests {
				require.Equal(t, c.authorization, r.http.Header.Get("Authorization"))
				for header, value := range c.headers {
					require.Equal(t, value, r.http.Header.Get(header))
				}
			}
		})
	}

	t.Run("a refusal names the fields", func(t *testing.T) {
		t.Parallel()
		client, err := scim.NewClient(t.Context(), scim.Options{
			BaseURL: start(t, serve(401, "", "")), Username: "ann", Password: "secret", UserAgent: "baton-test/v1",
		})
		require.NoError(t, err)
		_, err = listAll(t, serveConnector(t, client))
		require.Contains(t, requireFailure(t, err).Message(), `"User Name" (scim-username) and "Password" (scim-password)`)
	})

	const secret = "hidden-7f3a9c51d2e8"
	for name, c := range map[string]struct {
		options scim.Options
		message string
	}{
		"both":                           {scim.Options{Token: secret, Username: "ann", Password: secret}, "are both given"},
		"a token and a password":         {scim.Options{Token: secret, Password: secret}, "are both given"},
		"a token and a client's secret":  {scim.Options{Token: secret, ClientSecret: secret}, `"Client ID" (scim-client-id) is given, and also "SCIM Token" (scim-token) or "User Name" (scim-username). Give the one that the app asks for.`},
		"a token and a token URL":        {scim.Options{Token: secret, TokenURL: "https://app.example.com/token"}, "Give the one that the app asks for."},
		"a password and a client":        {scim.Options{Password: secret, ClientID: "c", ClientSecret: secret, TokenURL: "https://app.example.com/token"}, "Give the one that the app asks for."},
		"all three":                      {scim.Options{Token: secret, Username: "ann", Password: secret, ClientID: "c", ClientSecret: secret, TokenURL: "https://app.example.com/token"}, "Give the one that the app asks for."},
		"a token and scopes":             {scim.Options{Token: secret, Scopes: []string{"scim.read"}}, `"Scopes" (scim-scopes) are given, although there is no client id: only a token that is issued to a client has scopes. Take them away, or fill in "Client ID" (scim-client-id).`},
		"scopes alone":                   {scim.Options{Scopes: []string{"scim.read"}}, `"Scopes" (scim-scopes) are given`},
		"a token URL that is not https":  {scim.Options{ClientID: "c", ClientSecret: secret, TokenURL: "http://app.example.com/" + secret}, `"Token URL" (scim-token-url) begins with http://, which would send the client secret in clear text. It must look like https://host/oauth2/token, as the app shows it.`},
		"a token URL of another machine": {scim.Options{ClientID: "c", ClientSecret: secret, TokenURL: "http://127.0.0.1.example.com/" + secret}, "which would send the client secret in clear text"},
		"a token URL without a host":     {scim.Options{ClientID: "c", ClientSecret: secret, TokenURL: "https:///" + secret}, "is not a URL"},
		"neither":                        {scim.Options{}, `"SCIM Token" (scim-token) is empty`},
		"no password":                    {scim.Options{Username: "ann"}, `"Password" (scim-password) is empty`},
		"no user name":                   {scim.Options{Password: secret}, `"User Name" (scim-username) is empty`},
		"a colon":                        {scim.Options{Username: "a:b", Password: secret}, "has a colon in it"},
		"a line break in a password":     {scim.Options{Username: "ann", Password: secret + "\n" + secret}, `"Password" (scim-password) has a line break`},
		"a header's name":                {scim.Options{Token: secret, Headers: map[string]string{secret + " x": secret}}, "no name of a header"},
		"a header's value":               {scim.Options{Token: secret, Headers: map[string]string{"X-Key": secret + "\r\nX: y"}}, "the header X-Key"},
		"a header without a value":       {scim.Options{Token: secret, Headers: map[string]string{"X-Key": " "}}, "no value for the header X-Key"},
		"a header of the connector":      {scim.Options{Token: secret, Headers: map[string]string{"authorization": secret}}, "Authorization in it, which the connector sets itself"},
		"a header twice":                 {scim.Options{Token: secret, Headers: map[string]string{"X-Key": secret, "x-key": secret + "2"}}, `"Extra Headers" (scim-headers) has a header in it twice`},
		"a password in the base URL":     {scim.Options{BaseURL: "https://x.example/" + secret, Username: "ann", Password: secret}, "has a secret in it"},
		"a header's value in it":         {scim.Options{BaseURL: "https://x.example/" + secret, Token: "t", Headers: map[string]string{"X-Key": secret}}, "has a secret in it"},
		"a filter of several lines":      {scim.Options{Token: secret, Filter: "a\nb"}, `"User Filter" (scim-filter) has a line break`},
		"an attribute that is none":      {scim.Options{Token: secret, Attributes: scim.Attributes{Login: "emails["}}, `"Login Attribute" (scim-login-attribute) has "emails[" in it`},
		"a comparison that is not made":  {scim.Options{Token: secret, Attributes: scim.Attributes{Email: `emails[value co "x"].value`}}, "which is no attribute"},
		"an item without an attribute":   {scim.Options{Token: secret, Attributes: scim.Attributes{Profile: []string{"x="}}}, "neither an attribute nor key=attribute"},
		"a key twice":                    {scim.Options{Token: secret, Attributes: scim.Attributes{Profile: []string{"x=title", "x=locale"}}}, `two attributes for the key "x"`},
		"U15 a password for the profile": {scim.Options{Token: secret, Attributes: scim.Attributes{Profile: []string{"x=Password"}}}, "No password leaves the connector"},
		"U15 a password of an extension": {scim.Options{Token: secret, Attributes: scim.Attributes{Login: "urn:example:2.0:User:password"}}, "No password leaves the connector"},
	} {
		t.Run("refused: "+name, func(t *testing.T) {
			t.Parallel()
			if c.options.BaseURL == "" {
				c.options.BaseURL = "https://app.example.com/scim/v2"
			}
			_, err := scim.NewClient(t.Context(), c.options)
			st := requireFailure(t, err)
			require.Equal(t, codes.InvalidArgument, st.Code())
			require.Contains(t, st.Message(), c.message)
			require.NotContains(t, st.Message(), secret)
		})
	}
}

// TestEcho: an app that sends a secret back, in whatever form, does not bring it
// into the sync.
func TestEcho(t *testing.T) {
	t.Parallel()
	const token, password, header = "t0ken-7f3a/9c51+d2e8", `p4ss"word-51d2e8b6`, "h3ader-9c51d2e84b60"
	for name, secret := range map[string]string{"a token": token, "a password": password, "a header": header} {
		for form, written := range map[string]string{
			"plain":          fmt.Sprintf("%q", secret),
			"in an address":  fmt.Sprintf("%q", "https://x.example/?t="+url.QueryEscape(secret)),
			"base64, 1 byte": fmt.Sprintf("%q", base64.StdEncoding.EncodeToString([]byte("a"+secret+"bc"))),
			"base64, 2":      fmt.Sprintf("%q", base64.URLEncoding.EncodeToString([]byte("ab"+secret))),
			"base64, 3":      fmt.Sprintf("%q", base64.StdEncoding.EncodeToString([]byte("abc"+secret))),
		} {
			t.Run(name+" "+form, func(t *testing.T) {
				t.Parallel()
				options := scim.Options{
					BaseURL:   start(t, oneUser(`{"id":"1","title":`+written+`}`)),
					UserAgent: "baton-test/v1", Headers: map[string]string{"X-Key": header},
				}
				if secret == password {
					options.Username, options.Password = "ann", password
				} else {
					options.Token = token
				}
				client, err := scim.NewClient(t.Context(), options)
				require.NoError(t, err)
				_, err = listAll(t, serveConnector(t, client))
				st := requireFailure(t, err)
				require.Equal(t, codes.FailedPrecondition, st.Code())
				require.Contains(t, st.Message(), "back in its list of users")
				require.Empty(t, findSecret(st.Message(), secret))
			})
		}
	}
}

// TestEchoOfShortSecrets: a short password is found too, and so is a token that
// JSON writes with escapes.
func TestEchoOfShortSecrets(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		options scim.Options
		title   string
	}{
		"a short password":     {scim.Options{Username: "ann", Password: "hunter22"}, `"hunter22"`},
		"with the user name":   {scim.Options{Username: "ann", Password: "hunter22"}, `"Basic ` + base64.StdEncoding.EncodeToString([]byte("ann:hunter22")) + `"`},
		"a token with escapes": {scim.Options{Token: "t0ken/7f3a+9c51d2e8"}, `"t0ken\/7f3a\u002B9c51d2e8"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.options.BaseURL, c.options.UserAgent = start(t, oneUser(`{"id":"1","title":`+c.title+`}`)), "baton-test/v1"
			client, err := scim.NewClient(t.Context(), c.options)
			require.NoError(t, err)
			_, err = listAll(t, serveConnector(t, client))
			require.Contains(t, requireFailure(t, err).Message(), "back in its list of users")
		})
	}
}

// TestFilter: the filter goes with every request for users, and with none for
// groups.
func TestFilter(t *testing.T) {
	t.Parallel()
	const filter = `userType eq "Employee" and active eq true`
	a := newApp(250)
	client, err := scim.NewClient(t.Context(), scim.Options{BaseURL: start(t, a), Token: testToken, UserAgent: "baton-test/v1", Filter: " " + filter})
	require.NoError(t, err)
	_, err = listAll(t, serveConnector(t, client))
	require.NoError(t, err)
	for _, r := range a.requests {
		require.Equal(t, filter, r.http.URL.Query().Get("filter"))
	}

	client, err = scim.NewClient(t.Context(), scim.Options{
		BaseURL: start(t, serve(400, "", `{"scimType":"invalidFilter","detail":"no such attribute"}`)), Token: testToken, UserAgent: "baton-test/v1", Filter: filter,
	})
	require.NoError(t, err)
	_, err = listAll(t, serveConnector(t, client))
	st := requireFailure(t, err)
	require.Equal(t, codes.InvalidArgument, st.Code())
	require.Contains(t, st.Message(), `Check "User Filter" (scim-filter). It answered: no such attribute (invalidFilter)`)
}

// TestAttributes: what becomes login, e-mail and profile can be chosen.
func TestAttributes(t *testing.T) {
	t.Parallel()
	const user = `{
		"id": "1", "userName": "ann", "ExternalId": "e-17", "active": true, "password": "pw",
		"name": {"formatted": "Ann A. Ames", "familyName": "Ames"},
		"emails": [{"value": "ann@work.example", "primary": true, "type": "work"}, {"value": "ann@home.example", "type": "home"}],
		"phoneNumbers": [{"value": "1", "type": "work"}, {"value": "2", "type": "mobile"}, {"value": "3", "type": "work"}],
		"shade": {"COLOR": "red", "Color": "green", "colOR": "blue", "": "none"},
		"tags": ["x", "y", "x", {"display": "z"}, {"value": {"deep": 1}}, null],
		"urn:example:2.0:User": {"badge": 12345678901234567890, "desk": {"floor": 3}, "upn": "ann@corp.example"},
		"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"costCenter": "42"}
	}`
	for name, c := range map[string]struct {
		attributes scim.Attributes
		check      check
	}{
		"a login":                                 {scim.Attributes{Login: "externalId"}, all(hasLogin("e-17"), hasProfile("login", "e-17"), hasProfile("user_name", "ann"))},
		"a login of an extension":                 {scim.Attributes{Login: "urn:example:2.0:User:upn"}, hasLogin("ann@corp.example")},
		"a login that the user has not":           {scim.Attributes{Login: "urn:example:2.0:User:none"}, hasLogin("ann")},
		"an e-mail":                               {scim.Attributes{Email: `emails[type eq "home"].value`}, hasEmails("ann@home.example", "ann@work.example")},
		"an e-mail of an extension":               {scim.Attributes{Email: "urn:example:2.0:User:upn"}, hasEmails("ann@corp.example", "ann@work.example", "ann@home.example")},
		"an e-mail that is none":                  {scim.Attributes{Email: "externalId"}, hasEmails("ann@work.example", "ann@home.example")},
		"profile: an attribute":                   {scim.Attributes{Profile: []string{"name.formatted"}}, hasProfile("name.formatted", "Ann A. Ames")},
		"profile: a key":                          {scim.Attributes{Profile: []string{" badge = urn:example:2.0:User:badge "}}, hasProfile("badge", "12345678901234567890")},
		"profile: an attribute of an object":      {scim.Attributes{Profile: []string{"floor=urn:example:2.0:User:desk.floor"}}, hasProfile("floor", "3")},
		"profile: several values":                 {scim.Attributes{Profile: []string{`phones=phoneNumbers[type eq "work"].value`}}, hasProfile("phones", "1, 3")},
		"profile: all but some values":            {scim.Attributes{Profile: []string{`phones=phoneNumbers[type ne "work"].value`}}, hasProfile("phones", "2")},
		"profile: values in any form":             {scim.Attributes{Profile: []string{"tags"}}, hasProfile("tags", "x, y, z")},
		"profile: a list of objects":              {scim.Attributes{Profile: []string{"mail=emails"}}, hasProfile("mail", "ann@work.example, ann@home.example")},
		"profile: an object is left out":          {scim.Attributes{Profile: []string{"name"}}, lacksProfile("name")},
		"profile: true and false":                 {scim.Attributes{Profile: []string{"on=active"}}, hasProfile("on", "true")},
		"profile: not in the user":                {scim.Attributes{Profile: []string{"x=nickName"}}, lacksProfile("x")},
		"profile: in place of another":            {scim.Attributes{Profile: []string{"cost_center=externalId"}}, hasProfile("cost_center", "e-17")},
		"profile: the core schema by its URN":     {scim.Attributes{Profile: []string{"u=urn:ietf:params:scim:schemas:core:2.0:User:userName"}}, hasProfile("u", "ann")},
		"profile: the standard ones stay":         {scim.Attributes{Profile: []string{"x=title"}}, all(hasProfile("cost_center", "42"), hasProfile("external_id", "e-17"))},
		"U2 names in another case":                {scim.Attributes{Profile: []string{"b=URN:Example:2.0:user:BADGE"}}, hasProfile("b", "12345678901234567890")},
		"one name in several cases":               {scim.Attributes{Profile: []string{"a=shade.color", "b=shade.coLOR"}}, all(hasProfile("a", "red"), hasProfile("b", "red"))},
		"an attribute without a name":             {scim.Attributes{Profile: []string{"a=shade.size"}}, lacksProfile("a")},
		"U15 the password stays where it is":      {scim.Attributes{Profile: []string{"x=title"}}, lacksProfile("password")},
		"nothing is chosen, nothing is different": {scim.Attributes{}, all(hasLogin("ann"), hasEmails("ann@work.example", "ann@home.example"))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, err := scim.NewClient(t.Context(), scim.Options{BaseURL: start(t, oneUser(user)), Token: testToken, UserAgent: "baton-test/v1", Attributes: c.attributes})
			require.NoError(t, err)
			accounts, err := listAll(t, serveConnector(t, client))
			require.NoError(t, err)
			require.Len(t, accounts, 1)
			c.check(t, accounts["1"])
		})
	}
}
