package main

type seedCmd struct {
	configured
	Customers int `help:"How many fictitious customers." default:"1000000"`
	Contacts  int `help:"How many contacts in their past, in all." default:"10000000"`
}

// Run fills an empty bank with fictitious data, to see how Parley feels at a
// real bank's size.
func (c seedCmd) Run(e *env) error {
	a, err := c.open(e)
	if err != nil {
		return err
	}
	defer a.Close()
	b := e.bar(e.say("填充", "filling"))
	if err := a.Fill(e.ctx, c.Customers, c.Contacts, b.show); err != nil {
		return err
	}
	b.done()
	e.printf(e.say("已填充 %d 名虚构客户和他们此前的 %d 次联系。\n", "%d fictitious customers with %d contacts in their past are in.\n"), c.Customers, c.Contacts)
	return nil
}
