from bills import Bill


def test_everybody_pays_a_share():
    bill = Bill(600)
    bill.join("ann")
    bill.join("bob", 2)

    assert bill.shares() == {"ann": 200, "bob": 400}
    assert bill.summary() == "ann: 2.00\nbob: 4.00"
