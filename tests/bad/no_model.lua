local x = 1 --!! must return the model
