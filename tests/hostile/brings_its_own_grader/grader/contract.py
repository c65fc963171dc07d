PARTS = ()
print("everything passes")
